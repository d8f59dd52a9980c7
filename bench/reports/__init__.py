"""What the pages for approvers take to make."""
