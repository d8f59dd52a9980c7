"""``cards devices``: what the devices of a deployment report of themselves."""
