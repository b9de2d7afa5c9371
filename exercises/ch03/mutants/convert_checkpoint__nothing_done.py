# must trigger: the weights are the old ones
def convert_checkpoint(layers, rates):
    return [(w.clone(), b.clone()) for w, b in layers]
