rule report:
    input:
        scores="results/evaluate/vlkd/score/manifest.json",
        predictions="results/evaluate/vlkd/predict/manifest.json",
        models="results/distill/vlkd/manifest.json",
        data=rules.download.input,
        splits=rules.split.input,
        records=[
            expand(rules.download_set.output.record, dataset=DATASETS),
            expand(rules.pretrain_model.output.record, model=MODELS),
            expand(
                rules.features_set.output.record, encoder=ENCODERS, dataset=IMAGE_SETS
            ),
            expand(rules.split_task.output.record, task=TASKS),
            "results/distill/vlkd.run.json",
            "results/evaluate/vlkd/predict.run.json",
            "results/evaluate/vlkd/score.run.json",
        ],
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
