"""The numbers of an epoch's record by name, as curves are drawn from them elsewhere."""

from darts.records.run_folder import Record
from darts.reports.shares import share
from darts.spaces.space import NONE, SKIP


def epoch_scalars(stream: str, record: Record) -> dict[str, float]:
    """Every number of an epoch's record, and the shares of skip and `none`; {} for other streams.

    Names begin with the stage: "search/val_loss", "retrain/test_accuracy_percent".
    """
    stage, _, kind = stream.rpartition("/")
    if kind != "epochs":
        return {}
    numbers = {
        f"{stage}/{name}": value
        for name, value in record.items()
        if isinstance(value, int | float) and name != "epoch"
    }
    for operation in (SKIP, NONE) if "mixing" in record else ():
        part = share(record, operation)
        if part is not None:
            numbers[f"{stage}/{operation}_weight_percent"] = part.weight_percent
    return numbers
