"""Metrics of texts and boxes against the field's own implementations: sacreBLEU, jiwer and pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from graphc import metrics

WORDS = "the a cat dog sat ran on under mat tree quickly slowly and then it".split()


def texts(rng: np.random.Generator, count: int) -> list[str]:
    return [" ".join(rng.choice(WORDS, rng.integers(1, 15))) for _ in range(count)]


def changed(rng: np.random.Generator, text: str) -> str:
    """The text with words left out, put in and replaced."""
    result = []
    for word in text.split():
        if rng.random() < 0.8:
            result.append(word if rng.random() < 0.8 else str(rng.choice(WORDS)))
        if rng.random() < 0.1:
            result.append(str(rng.choice(WORDS)))
    return " ".join(result) or text


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("smooth", [False, True])
def test_bleu_is_that_of_sacrebleu(order: int, smooth: bool) -> None:
    """Of corpora with two references a sentence, of equal words without punctuation; from 0 to 1 here, to 100 there."""
    bleu = pytest.importorskip("sacrebleu.metrics").BLEU
    method = {"smooth_method": "add-k", "smooth_value": 1} if smooth else {"smooth_method": "none"}
    other = bleu(max_ngram_order=order, tokenize="none", **method)
    rng = np.random.default_rng(order)
    for count in (1, 5, 60):
        references = [texts(rng, count), texts(rng, count)]
        found = [changed(rng, text) for text in references[0]]
        own = metrics.BLEU(order=order, smooth=smooth)
        own.update(found, [list(pair) for pair in zip(*references, strict=True)])
        assert own.result() == pytest.approx(other.corpus_score(found, references).score / 100, abs=1e-9)


def test_word_error_rate_is_that_of_jiwer() -> None:
    jiwer = pytest.importorskip("jiwer")
    rng = np.random.default_rng(0)
    references = texts(rng, 80)
    found = [changed(rng, text) for text in references]
    own = metrics.WordErrorRate()
    own.update(found[:30], references[:30])
    own.update(found[30:], references[30:])
    assert own.result() == pytest.approx(jiwer.wer(references, found), abs=1e-12)


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corners, sides = rng.uniform(0, 40, (count, 2)), rng.uniform(4, 20, (count, 2))
    return np.concatenate([corners, corners + sides], axis=1)


@pytest.mark.parametrize("thresholds", [0.5, "coco"])
def test_mean_average_precision_is_that_of_pycocotools(thresholds: float | str) -> None:
    coco, evaluation = pytest.importorskip("pycocotools.coco").COCO, pytest.importorskip("pycocotools.cocoeval").COCOeval
    rng = np.random.default_rng(1)
    own = metrics.MeanAveragePrecision(thresholds)
    images, annotations, results = [], [], []
    for image in range(1, 25):
        true, kinds = boxes(rng, n := int(rng.integers(0, 5))), rng.integers(1, 4, n)
        moved = true + rng.normal(0, 1, true.shape)
        found = np.concatenate([moved, boxes(rng, 3)])
        labels = np.concatenate([np.where(rng.random(n) < 0.85, kinds, 1), rng.integers(1, 4, 3)])
        scores = rng.permutation(len(found)) / 10 + rng.random() / 100 + image / 1e4
        own.update(found, scores, labels, true, kinds)
        images.append({"id": image})
        for box, kind in zip(true, kinds, strict=True):
            wide = [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]
            what = {"image_id": image, "category_id": int(kind), "bbox": wide, "area": wide[2] * wide[3], "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, **what})
        for box, kind, score in zip(found, labels, scores, strict=True):
            wide = [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]
            results.append({"image_id": image, "category_id": int(kind), "bbox": wide, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco()
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": k} for k in (1, 2, 3)], "info": {}}
        truth.createIndex()
        check = evaluation(truth, truth.loadRes(results), "bbox")
        check.params.maxDets = [1, 10, 100]
        check.evaluate()
        check.accumulate()
        check.summarize()
    assert own.result() == pytest.approx(check.stats[0 if thresholds == "coco" else 1], abs=1e-9)
