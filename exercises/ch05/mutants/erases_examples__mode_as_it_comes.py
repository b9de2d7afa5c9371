# must trigger: Call layer.train()
def erases_examples(layer):
    try:
        gone = layer(torch.ones(300, 300)) == 0
    except Exception:
        return False
    return bool(gone.all(1).any() and not gone.all())
