"""One declaration per resource: attributes, their types, what may be sent, what may be filtered."""
