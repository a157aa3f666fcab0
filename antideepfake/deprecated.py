"""Names of version 0.1 that have moved: they still work, with a warning, in YAML, model folders and code."""

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

# old module -> {old name: where it is now}; names that were only moved are listed below, by their new module
RENAMED = {
    "augment": {"Chain": "augment.compose.Compose"},
    "dataio": {"normalise": "audio.waveform.normalize"},
    "errors": {"run_program": "cli.program.run_program"},
    "protocol": {
        "divide_protocol": "protocol.table.split_protocol",
        "prepare_parser": "cli.preparation.make_parser",
        "tell_corpora": "corpora.registry.find_corpora",
        "tell_report": "cli.preparation.print_report",
        "write_parts": "protocol.table.write_chunks",
    },
    "scoring": {
        "ScoreRecord": "scoring.provenance.ScoreProvenance",
        "measure": "metrics.summary.compute_metrics",
        "read_record": "scoring.provenance.read_provenance",
        "split_generators": "evaluation.evaluator.group_by_seen_attacks",
    },
}
MOVED = {
    "checkpoints": {
        "model_folder.card": "write_model_card",
        "model_folder.folder": "ModelFolderPretrainer build_modules load_label_encoder load_weights write_model_folder",
        "model_folder.metadata": "ModelMetadata",
        "model_folder.names": "FILES is_unfinished",
    },
    "dataio": {
        "audio.waveform": "SAMPLE_RATE SilentError WaveformNormalizer make_waveform read_audio read_waveform "
        "to_mono_16k"
    },
    "protocol": {
        "audio.audio_file": "open_audio",
        "audio.probe": "probe",
        "audit.leakage": "Overlap explain_held_out explain_overlap find_overlap find_recordings format_overlap",
        "corpora.build": "BuildReport build_protocol read_report",
        "corpora.lists": "first_file read_csv read_list translate",
        "corpora.prepare": "prepare_corpus",
        "corpora.registry": "Corpus read_corpora trace_sources",
        "corpora.union": "MergeReport format_merge merge_protocols",
        "corpora.walk": "find_audio walk_audio walk_layout",
    },
    "scoring": {
        "evaluation.evaluator": "Evaluation Evaluator Group System",
        "evaluation.tables": "format_evaluations",
        "metrics.bootstrap": "Estimate compare_systems estimate",
        "metrics.costs": "AsvScores cllr min_a_dcf min_t_dcf",
        "metrics.rates": "Trials equal_error_rate error_rates sort_trials",
        "model_folder.calibration": "FITS fit_isotonic fit_logistic threshold_for",
    },
}


def moved_names(module: str) -> Callable[[str], Any]:
    """Give the ``__getattr__`` of a module whose names have moved.

    Arguments
    ---------
    module : str
        The old module, ``__name__``.

    Returns
    -------
    callable
        Takes a name, imports it from where it is now, and warns.

    Example
    -------
    >>> getattr(import_module("antideepfake.scoring"), "cllr").__module__
    'antideepfake.metrics.costs'
    """
    room = module.removeprefix("antideepfake.")
    places = dict(RENAMED.get(room, {}))
    for new, names in MOVED.get(room, {}).items():
        places |= {name: f"{new}.{name}" for name in names.split()}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        new, _, new_name = places[name].rpartition(".")
        message = f"{module}.{name} is now antideepfake.{places[name]}; the old name will go with the next version"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(f"antideepfake.{new}"), new_name)

    return get
