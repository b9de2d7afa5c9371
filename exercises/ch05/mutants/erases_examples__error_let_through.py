# must trigger: erases nothing, so return False
def erases_examples(layer):
    mode = layer.training
    gone = layer.train()(torch.ones(300, 300)) == 0
    layer.train(mode)
    return bool(gone.all(1).any() and not gone.all())
