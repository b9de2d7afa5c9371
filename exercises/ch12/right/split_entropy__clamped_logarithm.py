def split_entropy(passes):
    def entropy(q):
        return -(q * q.clamp(min=1e-30).log()).sum(dim=-1)

    mean = passes.sum(0) / len(passes)
    expected = sum(entropy(q) for q in passes) / len(passes)
    return entropy(mean), expected, entropy(mean) - expected
