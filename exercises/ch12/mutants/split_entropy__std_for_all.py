# must trigger: that is a standard deviation
def split_entropy(passes):
    spread = passes.std(0, correction=0).max(-1).values
    return spread, spread, spread
