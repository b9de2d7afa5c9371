# must trigger: some are not reached, or not set to 0
class DropoutScheduler:
    def __init__(self, model, p, stop, mode, x):
        if mode not in ("early", "late", "ramp"):
            raise ValueError("mode")
        self.layers = [m for m in model.modules() if isinstance(m, nn.Dropout)]
        if not self.layers:
            raise ValueError("no dropout")
        self.p, self.stop, self.mode, self.done = p, stop, mode, 0
        self._set(0.0)
        modes = [(m, m.training) for m in model.modules()]
        model.train()
        same = torch.equal(model(x), model(x))
        for m, training in modes:
            m.training = training
        if not same:
            raise ValueError("drops elsewhere")
        self._set(self.rate())

    def rate(self):
        if self.mode == "early":
            return self.p if self.done < self.stop else 0.0
        if self.mode == "late":
            return 0.0 if self.done < self.stop else self.p
        return self.p * min(self.done / self.stop, 1)

    def step(self):
        self.done += 1
        self._set(self.rate())

    def _set(self, rate):
        for m in self.layers:
            m.p = rate
