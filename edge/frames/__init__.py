"""From a whole camera frame to the card in it: finding, rectifying, recognising, tracking."""
