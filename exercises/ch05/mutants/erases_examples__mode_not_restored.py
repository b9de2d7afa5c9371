# must trigger: leave the layer in the mode
def erases_examples(layer):
    layer.train()
    try:
        gone = layer(torch.ones(300, 300)) == 0
    except Exception:
        return False
    return bool(gone.all(1).any() and not gone.all())
