"""Makes the documentation's site from the checkout's Markdown, and its reference from the code."""
