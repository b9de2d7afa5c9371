# must trigger: 0 times the logarithm of 0 counts 0
def split_entropy(passes):
    def entropy(q):
        return -(q * q.log()).sum(-1)

    total, expected = entropy(passes.mean(0)), entropy(passes).mean(0)
    return total, expected, total - expected
