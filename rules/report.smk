# What every stage recorded of its time, memory and sources.
RUN_RECORDS = [
    expand(rules.download_set.output.record, dataset=DATASETS),
    expand(rules.pretrain_model.output.record, model=MODELS),
    expand(rules.features_set.output.record, encoder=ENCODERS, dataset=IMAGE_SETS),
    expand(rules.split_task.output.record, task=TASKS),
    expand(rules.download_mad_set.output.record, dataset=MAD_DATASETS),
    expand(rules.pretrain_student.output.record, model=STUDENTS),
    expand(rules.features_mad_set.output.record, encoder="clip", dataset=REGION_SETS),
    expand(rules.features_texts.output.record, encoder=TEXT_ENCODERS),
    expand(rules.split_mad_task.output.record, task=MAD_TASKS),
    expand(rules.distill_mad.output.record, task=MAD_TASKS),
    expand(rules.evaluate_mad_predict.output.record, task=MAD_TASKS),
    expand(rules.evaluate_mad_score.output.record, task=MAD_TASKS),
    "results/distill/vlkd.run.json",
    "results/evaluate/vlkd/predict.run.json",
    "results/evaluate/vlkd/score.run.json",
]


rule report:
    input:
        scores="results/evaluate/vlkd/score/manifest.json",
        predictions="results/evaluate/vlkd/predict/manifest.json",
        models="results/distill/vlkd/manifest.json",
        mad_scores=expand(rules.evaluate_mad_score.output.manifest, task=MAD_TASKS),
        mad_rows=expand(rules.evaluate_mad_score.output.rows, task=MAD_TASKS),
        mad_predictions=expand(
            rules.evaluate_mad_predict.output.manifest, task=MAD_TASKS
        ),
        mad_models=expand(rules.distill_mad.output.manifest, task=MAD_TASKS),
        # of the items whose token and region are shown
        mad_data=rules.download_mad.input,
        mad_features=expand(
            "results/features/clip/{dataset}/manifest.json",
            dataset=[*(sets[0] for sets in MAD_TASKS.values()), "texts"],
        ),
        data=rules.download.input,
        splits=rules.split.input,
        records=RUN_RECORDS,
        papers="data/reference/papers.csv",
        # DVC has no optional dep: whoever adds the file names it in dvc.yaml, too (the test of the graphs asks for it)
        reproduced=existing("data/reference/paper.json"),
        code=sources("report"),
    output:
        manifest="results/report/manifest.json",
        page=report(
            "results/report/index.html",
            caption="../workflow/report/page.rst",
            category="Report",
        ),
        metrics=report(
            "results/report/metrics.json",
            caption="../workflow/report/metrics.rst",
            category="Numbers",
        ),
        record="results/report.run.json",
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmarks/report.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1500, 4000),
        runtime=scaled(15, 60),
    params:
        read=narrow(*config),
    shell:
        "vldistill report > {log} 2>&1"
