# must trigger: feed it many rows
def erases_examples(layer):
    mode = layer.training
    layer.train()
    try:
        y = layer(torch.ones(4, 300))
    except Exception:
        return False
    finally:
        layer.train(mode)
    return bool((y == 0).all(1).any() and (y != 0).any())
