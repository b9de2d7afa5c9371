# must trigger: luck emptied a row
def erases_examples(layer):
    mode = layer.training
    layer.train()
    try:
        y = layer(torch.ones(100, 16))
    except Exception:
        return False
    finally:
        layer.train(mode)
    return bool((y == 0).all(1).any() and (y != 0).any())
