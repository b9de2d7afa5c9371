# must trigger: there is nothing that could cancel
x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
y = torch.zeros(3)
