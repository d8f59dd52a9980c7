"""What training minimises: loss terms, one file each in ``terms/``, and their weighted sum.

A new term is one new file in ``terms/``: it declares the term's settings, what it needs and its
function, and the weight ``weight_<name>`` is a setting of every recipe from then on. Such a file
imports torch inside its functions, so that ``training.config`` can read the declarations where
torch is not installed.

Example: one step's loss, and how much of the gradient each term causes.

    criterion = Criterion(config, prototypes)           # the terms whose weight is above 0
    terms = criterion(LossInputs(views, scans, cards))  # {"arcface": tensor(8.1), …}, weighted
    shares = gradient_shares(terms, [views, scans])     # {"arcface": 0.64, "contrastive": 0.36}
    sum(terms.values()).backward()
"""
