"""The experiments: one file per chapter, with what it measures; ``protocol`` and ``claims`` hold for all of them."""
