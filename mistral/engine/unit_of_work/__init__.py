"""The rows of one execution in one transaction, as its own changes would leave them."""
