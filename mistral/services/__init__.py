"""What users store: definitions of workflows, workbooks, actions and environments."""
