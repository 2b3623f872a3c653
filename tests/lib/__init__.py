"""What tests share: clients, targets to connect to, makers of entities, proxies."""
