"""transformers' Trainer over our own stream of batches, and what it writes while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from strefer_core.video_llm.processing import VideoLlmProcessor

LEARNED = "learned.safetensors"
Advance = Callable[[int, int], None]
"""Called with the steps that are done and all there are."""


class StreamTrainer(Trainer):
    """Reads our stream as it is: batches come encoded, in order, and each process makes its own share."""

    aligned_rate = 1.0  # see `Preset`

    def create_optimizer(self, *given: Any, **options: Any) -> torch.optim.Optimizer:
        """With a rate of its own for what was aligned, as ULMFiT (arXiv 1801.06146) has one per layer."""
        optimizer = super().create_optimizer(*given, **options)
        if self.aligned_rate != 1.0:
            assert self.model is not None
            aligned = {id(one) for name, one in self.model.named_parameters() if _is_aligned(name)}
            for group in list(optimizer.param_groups):
                slow = [one for one in group["params"] if id(one) in aligned]
                group["params"] = [one for one in group["params"] if id(one) not in aligned]
                if slow:
                    rate = group["lr"] * self.aligned_rate
                    optimizer.add_param_group({**group, "params": slow, "lr": rate})
        return optimizer

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_size=None,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory and self.args.device.type == "cuda",
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Under LoRA, a checkpoint holds what learns: the rest is where it was loaded from."""
        model = self.accelerator.unwrap_model(self.model)
        if not isinstance(model.language_model, PeftModel):
            super()._save(output_dir, state_dict)
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        learned = {name: value for name, value in model.named_parameters() if value.requires_grad}
        save_file({name: value.detach().cpu() for name, value in learned.items()}, folder / LEARNED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        path = Path(resume_from_checkpoint) / LEARNED
        if path.exists():
            self.accelerator.unwrap_model(self.model).load_state_dict(load_file(path), strict=False)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)


def _is_aligned(name: str) -> bool:
    """All but the layers of the language model: its words are aligned, too."""
    return "language_model" not in name or "embed_tokens" in name


class SaveProcessor(TrainerCallback):
    """Puts the processor beside each checkpoint, so that it is a model of its own."""

    def __init__(self, processor: VideoLlmProcessor) -> None:
        self.processor = processor

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.is_world_process_zero:
            self.processor.save_pretrained(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")


class Curve(TrainerCallback):
    """One JSON line per step; after a resume the curve goes on where its checkpoint was."""

    def __init__(self, path: Path, advance: Advance, resumed_at: int) -> None:
        self.path, self.advance = path, advance
        kept = [line for line in _lines(path) if line["step"] <= resumed_at]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        self.losses = [line["loss"] for line in kept if "loss" in line]

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.advance(state.global_step, state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if state.is_world_process_zero and logs and "loss" in logs:
            line = {"step": state.global_step, **logs}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self.losses.append(logs["loss"])

    def last_loss(self) -> float:
        last = self.losses[-max(1, len(self.losses) // 10) :]
        return sum(last) / max(1, len(last))


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of a curve; a kill may have cut the last one."""
    found = []
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return found
