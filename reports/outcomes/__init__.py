"""What a model answered to each view: which cards it confuses, and two models view by view."""
