"""Every bridge between two descriptions of the same matter: cohesive laws from atoms, the energy ledger."""
