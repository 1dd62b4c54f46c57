"""A gallery of labeled faces on disk, and the search for identities that are one person."""
