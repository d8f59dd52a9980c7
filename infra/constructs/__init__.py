"""One file an idea; the stacks only compose them."""
