# must trigger: it was put where it may be
def misplaced(layers):
    return [i for i, name in enumerate(layers) if name == "dropout"]
