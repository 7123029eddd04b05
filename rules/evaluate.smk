rule evaluate_vlkd_predict_cells:
    input:
        models="results/distill/vlkd/manifest.json",
        before=expand(
            "results/pretrain/{model}/manifest.json", model=["bart", "bart_no_direct"]
        ),
        features=rules.features.input,
        data=rules.download.input,
        splits=rules.split.input,
        code=sources("evaluate_predict"),
    output:
        receipt=temp("results/receipts/evaluate/vlkd/batch-{batch}.json"),
    log:
        "logs/evaluate/vlkd/predict/batch-{batch}.log",
    benchmark:
        "logs/benchmarks/evaluate/vlkd/predict/batch-{batch}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2500, 32000),
        runtime=scaled(60, 720),
        gpu=gpus(),
    params:
        read=narrow("evaluate.vlkd", "distill.vlkd", *NUMERICS),
        deadline=deadline,
    shell:
        "vldistill evaluate vlkd predict --batch {wildcards.batch} {params.deadline} > {log} 2>&1"


rule evaluate_vlkd_predict:
    input:
        receipts=expand(
            rules.evaluate_vlkd_predict_cells.output.receipt, batch=VLKD_BATCHES
        ),
        code=sources("evaluate_predict"),
    output:
        manifest="results/evaluate/vlkd/predict/manifest.json",
        record="results/evaluate/vlkd/predict.run.json",
    log:
        "logs/evaluate/vlkd/predict/gather.log",
    benchmark:
        "logs/benchmarks/evaluate/vlkd/predict/gather.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000, 4000),
        runtime=scaled(10, 60),
    params:
        read=narrow("evaluate.vlkd", "distill.vlkd", *NUMERICS),
    shell:
        "vldistill evaluate vlkd predict --gather > {log} 2>&1"


rule evaluate_vlkd_score:
    input:
        predictions="results/evaluate/vlkd/predict/manifest.json",
        data=rules.download.input,
        splits=rules.split.input,
        code=sources("evaluate_score"),
    output:
        manifest="results/evaluate/vlkd/score/manifest.json",
        record="results/evaluate/vlkd/score.run.json",
    log:
        "logs/evaluate/vlkd/score.log",
    benchmark:
        "logs/benchmarks/evaluate/vlkd/score.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(5000, 16000),
        runtime=scaled(60, 240),
    params:
        read=narrow("evaluate.vlkd"),
    shell:
        "vldistill evaluate vlkd score > {log} 2>&1"
