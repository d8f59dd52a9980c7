"""What `cards doctor` looks at: one file a subject, its judgement apart from its looks."""
