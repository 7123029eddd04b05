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
    priority: 1
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
    priority: 1
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
    priority: 1
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


rule evaluate_mad_predict_cells:
    input:
        models="results/distill/mad/{task}/manifest.json",
        data=task_data,
        splits="results/split/{task}/manifest.json",
        features=task_features,
        texts="results/features/clip/texts/manifest.json",
        code=sources("evaluate_mad_predict"),
    output:
        receipt=temp("results/receipts/evaluate/mad/{task}/batch-{batch}.json"),
    log:
        "logs/evaluate/mad/{task}/predict/batch-{batch}.log",
    benchmark:
        "logs/benchmarks/evaluate/mad/{task}/predict/batch-{batch}.tsv"
    wildcard_constraints:
        task="|".join(MAD_TASKS),
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2500, 32000),
        runtime=scaled(60, 720),
        gpu=gpus(),
    params:
        read=narrow(
            "evaluate.mad",
            "distill.mad",
            "features.tagged_as",
            "features.vcr_text",
            *NUMERICS,
        ),
        deadline=deadline,
    shell:
        "vldistill evaluate mad predict {wildcards.task} --batch {wildcards.batch} {params.deadline} > {log} 2>&1"


rule evaluate_mad_predict:
    input:
        receipts=lambda wildcards: expand(
            rules.evaluate_mad_predict_cells.output.receipt,
            task=wildcards.task,
            batch=mad_batches(wildcards),
        ),
        code=sources("evaluate_mad_predict"),
    output:
        manifest="results/evaluate/mad/predict/{task}/manifest.json",
        record="results/evaluate/mad/predict/{task}.run.json",
    log:
        "logs/evaluate/mad/{task}/predict/gather.log",
    benchmark:
        "logs/benchmarks/evaluate/mad/{task}/predict/gather.tsv"
    wildcard_constraints:
        task="|".join(MAD_TASKS),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000, 4000),
        runtime=scaled(10, 60),
    params:
        read=narrow(
            "evaluate.mad",
            "distill.mad",
            "features.tagged_as",
            "features.vcr_text",
            *NUMERICS,
        ),
    shell:
        "vldistill evaluate mad predict {wildcards.task} --gather > {log} 2>&1"


rule evaluate_mad_score:
    input:
        predictions="results/evaluate/mad/predict/{task}/manifest.json",
        data=task_data,
        splits="results/split/{task}/manifest.json",
        code=sources("evaluate_mad_score"),
    output:
        manifest="results/evaluate/mad/score/items/{task}/manifest.json",
        rows="results/evaluate/mad/score/scores-{task}.jsonl",
        record="results/evaluate/mad/score/items/{task}.run.json",
    log:
        "logs/evaluate/mad/{task}/score.log",
    benchmark:
        "logs/benchmarks/evaluate/mad/{task}/score.tsv"
    wildcard_constraints:
        task="|".join(MAD_TASKS),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000, 16000),
        runtime=scaled(60, 240),
    params:
        read=narrow("evaluate.mad", "distill.mad.vqa_priors"),
    shell:
        "vldistill evaluate mad score {wildcards.task} > {log} 2>&1"
