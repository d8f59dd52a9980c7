"""A page for a telephone or a computer in the shop's network: take a photograph, read the card."""
