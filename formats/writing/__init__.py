"""From rows to files: the shapes that trainers read, the containers, the card, the hub."""
