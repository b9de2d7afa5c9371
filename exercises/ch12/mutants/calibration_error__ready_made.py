# must trigger: calls the ready-made companion.uncertainty
from companion.uncertainty import expected_calibration_error


def calibration_error(confidence, right, bins):
    q = torch.stack([confidence, 1 - confidence], -1).double()
    return expected_calibration_error(q, (1 - right).long(), bins)
