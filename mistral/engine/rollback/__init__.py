"""Rollback of an execution: the plan of compensations, and the verbs that carry it out."""
