rule pretrain:
    input:
        expand("results/pretrain/{model}/manifest.json", model=MODELS),


rule pretrain_students:
    input:
        expand("results/pretrain/{model}/manifest.json", model=STUDENTS),


rule pretrain_model:
    input:
        data=pretraining_data,
        code=sources("pretrain"),
    output:
        manifest="results/pretrain/{model}/manifest.json",
        record="results/pretrain/{model}.run.json",
    log:
        "logs/pretrain/{model}.log",
    benchmark:
        "logs/benchmarks/pretrain/{model}.tsv"
    # the teacher is what most jobs wait for
    priority: lambda wildcards: 2 * (wildcards.model == "clip")
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2000, 32000),
        runtime=scaled(60, 240),
        gpu=gpus(),
    params:
        read=narrow("pretrain.clip", "pretrain.language_model", *NUMERICS),
        deadline=deadline,
    shell:
        "vldistill pretrain {wildcards.model} {params.deadline} > {log} 2>&1"


rule pretrain_student:
    input:
        start=start_of,
        features="results/features/clip/vg/manifest.json",
        data=expand("results/download/{dataset}/manifest.json", dataset=TEXT_SETS),
        code=sources("pretrain_student"),
    output:
        manifest="results/pretrain/{model}/manifest.json",
        record="results/pretrain/{model}.run.json",
    log:
        "logs/pretrain/{model}.log",
    benchmark:
        "logs/benchmarks/pretrain/{model}.tsv"
    wildcard_constraints:
        model="|".join(STUDENTS),
    conda:
        "../envs/environment.yaml"
    threads: PARAMS.compute.threads
    resources:
        mem_mb=scaled(2500, 32000),
        runtime=scaled(60, 240),
        gpu=gpus(),
    params:
        read=narrow("pretrain.student", *NUMERICS),
        deadline=deadline,
    shell:
        "vldistill pretrain {wildcards.model} {params.deadline} > {log} 2>&1"
