# must trigger: single elements fall here
def erases_examples(layer):
    mode = layer.training
    try:
        gone = layer.train()(torch.ones(300, 300)) == 0
    except Exception:
        return False
    finally:
        layer.train(mode)
    return bool(gone.any() and not gone.all() and not gone.all(0).any())
