"""The CDK app's stacks: what must survive, who may do what, and what reacts to events."""
