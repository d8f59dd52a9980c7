"""When an answer counts: the false-accept target, the threshold that holds it, and the rule.

``false_accepts`` has the target and what a number of unknown cards can show, ``threshold`` chooses
the threshold by views of unknown cards, ``printing_margin`` the margin between printings of one
artwork, and ``rule`` decides about each answer by both.

Example: three hundred unknown cards, of which no view is accepted, show a rate below one per cent.

>>> from recognition.acceptance.false_accepts import FALSE_ACCEPTS, false_accept_bound
>>> false_accept_bound(passing=0, cards=300) < FALSE_ACCEPTS
True
"""
