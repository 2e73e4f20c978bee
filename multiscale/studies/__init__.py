"""Studies: each reads as the story of its own physics."""
