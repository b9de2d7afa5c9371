# must trigger: nothing is left at all
def erases_examples(layer):
    mode = layer.training
    layer.train()
    try:
        gone = layer(torch.ones(300, 300)) == 0
    except Exception:
        return False
    finally:
        layer.train(mode)
    return bool(gone.all(1).any())
