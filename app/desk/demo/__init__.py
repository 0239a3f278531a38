"""The demo company. `company` makes it stage after stage, each in a file of its own; `scene` is what they share."""
