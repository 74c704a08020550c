"""Image references: their grammar, and where they hide in text. The standard library and YAML."""
