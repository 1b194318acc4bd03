"""A small tokenizer of a data set's own words, for models that are trained from scratch."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from strefer_core.video_llm.times import CLOCK_TOKENS, FINE_TOKENS

IMAGE_TOKEN, REGION_TOKEN = "<image>", "<region>"
PLACEHOLDERS = (IMAGE_TOKEN, REGION_TOKEN)
TIME_TOKENS = (*CLOCK_TOKENS, *FINE_TOKENS)
END, PAD = "<|end|>", "<|pad|>"


def train_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerBase:
    """Byte-level BPE of at most `size` entries, digits alone, with the placeholders and the clock.

    Any text can be written with it, and read back as it was; frequent words are one token.
    """
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[PAD, END], initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)  # type: ignore[no-untyped-call]
    add_tokens(fast)
    return fast


def add_tokens(tokenizer: PreTrainedTokenizerBase) -> int:
    """Add the placeholders and the clock to a tokenizer; returns how many were new.

    The time tokens are ordinary ones: decoding without special tokens still shows them.
    """
    added = tokenizer.add_tokens(list(PLACEHOLDERS), special_tokens=True)
    return added + tokenizer.add_tokens(list(TIME_TOKENS), special_tokens=False)
