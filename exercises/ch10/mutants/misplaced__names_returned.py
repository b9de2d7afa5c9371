# must trigger: return a list of positions
def misplaced(layers):
    return [name for name in layers if name == "dropout"]
