"""What a case will cost before it runs: recorded work, a model fitted from it, and predictions of time and memory."""
