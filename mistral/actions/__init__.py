"""Standard actions, descriptors of actions and the providers that find them."""
