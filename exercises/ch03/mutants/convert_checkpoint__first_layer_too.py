# must trigger: the first layer reads the data
def convert_checkpoint(layers, rates):
    k = 1 - max(rates)
    return [(w * k, b.clone()) for w, b in layers]
