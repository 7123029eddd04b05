rule distill_vlkd_cells:
    input:
        pairs="results/download/cc3m/manifest.json",
        replay="results/download/corpus/manifest.json",
        features=expand(
            "results/features/{encoder}/cc3m/manifest.json", encoder=ENCODERS
        ),
        models=expand("results/pretrain/{model}/manifest.json", model=MODELS),
        code=sources("distill"),
    output:
        receipt=temp("results/receipts/distill/vlkd/batch-{batch}.json"),
    log:
        "logs/distill/vlkd/batch-{batch}.log",
    benchmark:
        "logs/benchmarks/distill/vlkd/batch-{batch}.tsv"
    # the longest chain of jobs goes first: the many short ones of MAD fill the gaps
    priority: 1
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2500, 48000),
        runtime=scaled(60, 1440),
        gpu=gpus(),
    params:
        read=narrow("distill.vlkd", "download.source", *NUMERICS),
        deadline=deadline,
    shell:
        "vldistill distill vlkd --batch {wildcards.batch} {params.deadline} > {log} 2>&1"


rule distill_vlkd:
    input:
        receipts=expand(rules.distill_vlkd_cells.output.receipt, batch=VLKD_BATCHES),
        code=sources("distill"),
    output:
        manifest="results/distill/vlkd/manifest.json",
        record="results/distill/vlkd.run.json",
    log:
        "logs/distill/vlkd/gather.log",
    benchmark:
        "logs/benchmarks/distill/vlkd/gather.tsv"
    priority: 1
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000, 4000),
        runtime=scaled(10, 60),
    params:
        read=narrow("distill.vlkd", "download.source", *NUMERICS),
    shell:
        "vldistill distill vlkd --gather > {log} 2>&1"


rule distill_mad_cells:
    input:
        data=task_data,
        splits="results/split/{task}/manifest.json",
        features=task_features,
        phrases=PHRASES,
        texts=TEXT_FEATURES,
        students=expand("results/pretrain/{model}/manifest.json", model=STUDENTS),
        code=sources("distill_mad"),
    output:
        receipt=temp("results/receipts/distill/mad/{task}/batch-{batch}.json"),
    log:
        "logs/distill/mad/{task}/batch-{batch}.log",
    benchmark:
        "logs/benchmarks/distill/mad/{task}/batch-{batch}.tsv"
    wildcard_constraints:
        task="|".join(MAD_TASKS),
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2500, 48000),
        runtime=scaled(120, 1440),
        gpu=gpus(),
    params:
        read=narrow(
            "distill.mad",
            "download.source",
            "features.tagged_as",
            "features.vcr_text",
            *NUMERICS,
        ),
        deadline=deadline,
    shell:
        "vldistill distill mad {wildcards.task} --batch {wildcards.batch} {params.deadline} > {log} 2>&1"


rule distill_mad:
    input:
        receipts=lambda wildcards: expand(
            rules.distill_mad_cells.output.receipt,
            task=wildcards.task,
            batch=mad_batches(wildcards),
        ),
        code=sources("distill_mad"),
    output:
        manifest="results/distill/mad/{task}/manifest.json",
        record="results/distill/mad/{task}.run.json",
    log:
        "logs/distill/mad/{task}/gather.log",
    benchmark:
        "logs/benchmarks/distill/mad/{task}/gather.tsv"
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
            "distill.mad",
            "download.source",
            "features.tagged_as",
            "features.vcr_text",
            *NUMERICS,
        ),
    shell:
        "vldistill distill mad {wildcards.task} --gather > {log} 2>&1"
